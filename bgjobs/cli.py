import click


@click.command("run-job")
def run_job_command(): ...
@click.group("bgjobs")
def bgjobs_commands(): ...
