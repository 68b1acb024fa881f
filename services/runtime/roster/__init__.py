"""The roster: clinics, their groups and their therapists, as they are now."""
