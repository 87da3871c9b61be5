"""The benchmark that ships with the engine: `python -m fastnn bench`.

Cases stand in one module per kernel family, written once against the surface that
fastnn and torch share. runner.py times them in one process per library.
"""
