"""The log table: what an address asks for, which logs match, how they are shown."""
