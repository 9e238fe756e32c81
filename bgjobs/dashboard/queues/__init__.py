"""The queues: how much waits in each, and the switch that holds one up."""
