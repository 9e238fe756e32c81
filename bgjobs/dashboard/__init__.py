"""The dashboard: pages that read through ``queries`` and act through the store. Nobody above imports it
but the extension, which mounts its blueprint."""
