"""Schema versions, run by `holdfast.store.database` when it opens a store."""
