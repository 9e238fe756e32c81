"""What happens to hosts, done once each and measured, for ``make faults``."""

from __future__ import annotations

from cluster import Cluster
from hosts import Host
from real_site import RealSite, died_within
from waiting import monotonic

from bgjobs import JobHandle


def dispatched_elsewhere(cluster: Cluster) -> float:
    """No fault: a job is dispatched on a host without a supervisor, until it starts on another one."""
    asked_at = monotonic()
    job = cluster.site.dispatch("Plain.nothing")
    started = cluster.site.until_noted(job)
    cluster.site.wait(job)
    return started.moment - asked_at


def whole_host_dies(cluster: Cluster) -> float:
    """Until the job that it ran starts on another host."""
    job, gate = _running_on(cluster, cluster.one)
    cluster.one.kill()
    took = _recovered_after(cluster.site, job, monotonic())
    _come_to_an_end(cluster.site, job, gate)
    cluster.one.start()
    return took


def host_sleeps(cluster: Cluster) -> float:
    """Supervisor and jobs stand still for longer than the lease; from the moment at which they go on, until the
    process of the job that was recovered meanwhile is gone."""
    job, gate = _running_on(cluster, cluster.one)
    pid = cluster.site.row(job.id).pid
    cluster.site.ran_on_two_hosts.add(job.id)
    cluster.one.freeze()
    cluster.site.until_noted(job, count=2)
    cluster.one.go_on()
    woken_at = monotonic()
    assert died_within([pid], 30)
    took = monotonic() - woken_at
    _come_to_an_end(cluster.site, job, gate)
    return took


def network_is_cut(cluster: Cluster) -> float:
    """Nothing passes between a host and the database: until its job starts on another host."""
    job, gate = _running_on(cluster, cluster.one)
    pid = cluster.site.row(job.id).pid
    cluster.site.ran_on_two_hosts.add(job.id)
    cluster.way_of_one.set("cut")
    took = _recovered_after(cluster.site, job, monotonic())
    cluster.way_of_one.set("up")
    assert died_within([pid], 30)
    _come_to_an_end(cluster.site, job, gate)
    return took


def _running_on(cluster: Cluster, host: Host) -> tuple[JobHandle, str]:
    gate = f"gate{monotonic()}"
    (job,) = cluster.start_on(host, gate)
    return job, gate


def _recovered_after(site: RealSite, job: JobHandle, since: float) -> float:
    return site.until_noted(job, count=2).moment - since


def _come_to_an_end(site: RealSite, job: JobHandle, gate: str) -> None:
    site.open_gate(gate)
    (row,) = site.wait(job)
    assert (row.status, row.attempt, row.host) == ("completed", 2, "two")
