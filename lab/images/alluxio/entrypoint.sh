#!/bin/bash
# Starts one part of Alluxio in the foreground. Options come from the environment and are kept in conf/alluxio-env.sh, so that a
# command that is run in the container later has the same ones.
set -euo pipefail
home=/opt/alluxio

if [ -n "${ALLUXIO_SITE_PROPERTIES:-}" ]; then
  printf '%s\n' "$ALLUXIO_SITE_PROPERTIES" > $home/conf/alluxio-site.properties
fi
if [ ! -e $home/conf/alluxio-env.sh ]; then
  # Values may hold shell variables such as ${ALLUXIO_MASTER_HOSTNAME}: double quotes let them expand when the file is read.
  for name in $(compgen -e ALLUXIO_ | grep -E '_JAVA_OPTS$'); do
    printf 'export %s="%s"\n' "$name" "${!name//\"/\\\"}"
  done > $home/conf/alluxio-env.sh
fi

command=${1:?"one of master-only, worker-only, job-master, job-worker, proxy, fuse"}
shift
case $command in
  master | master-only) part=MASTER class=alluxio.master.AlluxioMaster ;;
  worker | worker-only) part=WORKER class=alluxio.worker.AlluxioWorker ;;
  job-master) part=JOB_MASTER class=alluxio.master.AlluxioJobMaster ;;
  job-worker) part=JOB_WORKER class=alluxio.worker.AlluxioJobWorker ;;
  proxy) part=PROXY class=alluxio.proxy.AlluxioProxy ;;
  fuse)
    options=()
    if [[ ${1:-} == --fuse-opts=* ]]; then
      options=("-Dalluxio.fuse.mount.options=${1#--fuse-opts=}")
      shift
    fi
    mkdir -p "$1"
    export ALLUXIO_EXTRA_OPTS="${options[*]:-} -Dalluxio.fuse.mount.point=$1 -Dalluxio.fuse.mount.alluxio.path=${2:-/} -Dalluxio.fuse.jnifuse.libfuse.version=3"
    set --
    part=FUSE class=alluxio.fuse.AlluxioFuse ;;
  *) exec "$command" "$@" ;;
esac
ALLUXIO_PART=$part exec $home/bin/alluxio runClass "$class"
