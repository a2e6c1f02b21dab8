"""`holdfast demo`: an exchange in a box and the bot, two processes on one clock, before your eyes."""
