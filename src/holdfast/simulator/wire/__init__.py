"""What every simulated exchange's wire is made of, whatever its dialect: requests, sockets, figures."""
