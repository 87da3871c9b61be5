"""`python -m fastnn demo`: networks that learn real handwritten digits."""
