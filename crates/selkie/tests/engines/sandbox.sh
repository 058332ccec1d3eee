# A machine within the machine, for engines that must neither see nor touch anything of the real one: namespaces, a /run and
# a /var/lib of its own for each engine, cgroups beneath one that goes with it. Everything in it ends with its first process.
# usage: sh -c "$(cat sandbox.sh)" NAME WORKS INSIDE: WORKS is a directory, INSIDE the script that is run in it.
set -eu
name=$1 works=$2 inside=$3

# The cgroups of this process, as directories.
groups() {
  while IFS=: read -r _ kind path; do
    case $kind in
      '') tree=/sys/fs/cgroup; [ ! -d $tree/unified ] || tree=$tree/unified ;;
      *) tree=/sys/fs/cgroup/${kind#name=} ;;
    esac
    [ ! -d "$tree${path%/}" ] || echo "$tree${path%/}"
  done < /proc/self/cgroup
}

before=$(groups)
within=
for group in $before; do
  mkdir "$group/$name"
  within="$within $group/$name"
  # A cpuset that is not told holds no process.
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$group/tasks" ] || [ ! -e "$group/$name/$file" ] || cat "$group/$file" > "$group/$name/$file"
  done
done
# Only the first process of the sandbox goes into the cgroups: whoever waits for it outside would be in the way there.
enter='inside=$1 works=$2
shift 2
for group; do echo 0 > "$group/cgroup.procs" || exit; done
exec unshare --cgroup sh -c "$inside" inside "$works"'
code=0
unshare --mount --pid --fork --kill-child=KILL --uts --ipc --net --mount-proc --propagation private \
  sh -c "$enter" enter "$inside" "$works" $within || code=$?
# A cgroup may be removed when its last process is gone entirely, which takes a moment after the kill.
for group in $within; do
  tries=0
  until find "$group" -depth -type d -exec rmdir {} + 2> /dev/null || [ $tries -gt 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
done
exit $code
