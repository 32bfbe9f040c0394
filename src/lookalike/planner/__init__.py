"""The planner: from what is stored and what was asked for, to the engine that answers."""
