"""What things are, and the rules they follow: no I/O, standard library only."""
