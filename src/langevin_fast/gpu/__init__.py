"""The step loop for a GPU: one thread per particle. Imported only when the "cuda" backend is used."""
