"""Is everything as it must be? What the doctor says, and the facts that one asks for when it is not."""
