"""What judges a world: safety, liveness, naked time and usefulness, by the exchange's truth.

A checker hears of what happens at the exchange, of what is durable in the store, and of the life of
the bot; it never takes the bot's word for what is so at the exchange. Everything is incremental: a
change is judged when it happens, what must not last is looked at once a simulated second.
"""
