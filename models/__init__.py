"""Language and embedding models: runtimes, weights, prompts."""
