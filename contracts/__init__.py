"""The language every part of OnTrack speaks: events, topics, the codec and the definitions."""
