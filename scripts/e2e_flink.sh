#!/usr/bin/env bash
# Run the tests of Beam engines on Flink: FLINK_JOB_SERVER_JAR=… scripts/e2e_flink.sh
#
# First inside one process, then on a cluster of one task manager with two slots.
set -euo pipefail
cd "${0%/*}/.."

FLINK_VERSION=1.19.1
jar=${FLINK_JOB_SERVER_JAR:-}

fail() {
  echo "make e2e-flink was NOT RUN: $1" >&2
  exit 1
}

[[ -n $jar ]] || fail "give FLINK_JOB_SERVER_JAR=beam-runners-flink-1.19-job-server-2.63.0.jar, from Maven Central."
[[ -f $jar ]] || fail "$jar is not a file."
command -v java >/dev/null || fail "java was not found; install a Java 17."

work=$(mktemp -d)
started=()
stop() {
  for process in "${started[@]}"; do
    kill "$process" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap stop EXIT

uv=$(bash scripts/uv.sh)
if [[ $(cat .tools/flink/version 2>/dev/null) != "$FLINK_VERSION" ]]; then
  rm -rf .tools/flink
  "$uv" venv --quiet --python 3.10 .tools/flink
  "$uv" pip install --quiet --no-deps --python .tools/flink/bin/python \
    "apache-flink-libraries==$FLINK_VERSION" || fail "apache-flink-libraries cannot be fetched."
  echo "$FLINK_VERSION" >.tools/flink/version
fi
flink=$(echo "$PWD"/.tools/flink/lib/python3.10/site-packages/pyflink)

wait_for() {
  for _ in $(seq 1 120); do
    if (echo >"/dev/tcp/localhost/$1") 2>/dev/null; then
      return
    fi
    sleep 0.5
  done
  fail "nothing answers at port $1; see $work."
}

run() {
  echo "== Flink $1 =="
  BEAM_ENGINE_OPTIONS="--runner=FlinkRunner --flink_version=1.19 --flink_job_server_jar=$jar \
    --flink_master=$1 --parallelism=2 --environment_type=EXTERNAL \
    --environment_config=localhost:50000" \
    .venv/bin/python -m pytest tests/kubeflow/test_beam_engine.py -m '' -q --timeout 1800
}

# The pool starts its workers as `python`.
PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m apache_beam.runners.worker.worker_pool_main --service_port=50000 \
  >"$work/pool.log" 2>&1 &
started+=($!)
wait_for 50000
run "[local]"

mkdir "$work/conf"
# Flink's own scripts, which compute a task manager's memory, are not in the package.
cat >"$work/conf/flink-conf.yaml" <<CONF
jobmanager.rpc.address: localhost
rest.address: localhost
rest.server.max-content-length: 536870912
taskmanager.numberOfTaskSlots: 2
taskmanager.cpu.cores: 2
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 512m
taskmanager.memory.network.min: 512m
taskmanager.memory.network.max: 512m
taskmanager.memory.jvm-metaspace.size: 512m
taskmanager.memory.jvm-overhead.min: 256m
taskmanager.memory.jvm-overhead.max: 256m
CONF
classes="$flink/lib/*"
java -Xmx1g -cp "$classes" \
  org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
  --configDir "$work/conf" >"$work/jobmanager.log" 2>&1 &
started+=($!)
wait_for 8081
java -Xmx1g -XX:MaxDirectMemorySize=1g -cp "$classes" \
  org.apache.flink.runtime.taskexecutor.TaskManagerRunner \
  --configDir "$work/conf" >"$work/taskmanager.log" 2>&1 &
started+=($!)
run "localhost:8081"
