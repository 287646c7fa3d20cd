"""HTTP: the API for incident tools and the page for people."""
