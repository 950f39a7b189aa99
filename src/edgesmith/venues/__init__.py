"""How each exchange speaks: names, wire formats, instruments; one folder per exchange, none knows another."""
