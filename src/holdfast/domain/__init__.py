"""What trading is: frozen values in Decimal, no I/O, no clock, no chance."""
