"""The HTTP face of a running bot."""
