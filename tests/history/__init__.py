"""Histories that were frozen: every version of OnTrack has to find in them what stands beside them."""
