"""The services of OnTrack, and the runtime that they share."""
