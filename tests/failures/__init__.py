"""What is killed, stopped, stalled and filled, and what must hold afterwards."""
