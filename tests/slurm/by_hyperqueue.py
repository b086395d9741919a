#!/usr/bin/env python3
"""`by_hyperqueue.py FOLDER`: runs the tasks of FOLDER/hyperqueue.toml on a HyperQueue of this machine, through its Python package (`pip install
hyperqueue`), which has a server and workers but no `hq`. Keys that the package's documentation of job files does not have are refused."""
import pathlib
import sys
import tomllib

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest

folder = pathlib.Path(sys.argv[1])
file = tomllib.loads((folder / "hyperqueue.toml").read_text())
assert set(file) <= {"name", "stream", "max_fails", "task"}, file.keys()
KEYS = {"id", "command", "stdout", "stderr", "task_dir", "time_limit", "priority", "crash_limit", "env", "stdin", "deps", "cwd", "request"}
job = Job()
for task in file["task"]:
    assert set(task) <= KEYS and all(set(r) <= {"resources", "time_request"} for r in task["request"]), task
    cpus = task["request"][0]["resources"]["cpus"]
    job.program(
        task["command"], name=str(task["id"]), stdout=task["stdout"], stderr=task["stderr"], resources=ResourceRequest(cpus=cpus)
    )
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client = cluster.client()
    submitted = client.submit(job)
    ok = client.wait_for_jobs([submitted])
    print(f"{len(file['task'])} tasks: {'all finished' if ok else client.get_failed_tasks(submitted)}")
sys.exit(not ok)
