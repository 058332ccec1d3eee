# Starts two containers of every engine that is here, one as the engine has it and one that is privileged, then runs the lines
# that it reads. Says for each engine `started NAME`, or `missing NAME: why`; then `ready`; then the exit status of each line.
# ENGINES are those that are wanted; all of them, if it is empty.
# In the directory $1: rootfs, theirs (the same, of user 5000), bb.tar, absent (capabilities that this host cannot give).
works=$1
selkie="$SELKIE --root /run/selkie-root --runroot /run/selkie-run"

mkdir -p /var/lib/containers /var/lib/docker /var/lib/containerd /var/lib/lxc /var/lib/machines
for name in containers docker containerd lxc machines; do
  mount -t tmpfs -o mode=711 tmpfs /var/lib/$name
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/user /run/home
hostname sandbox
ip link set lo up 2> /dev/null

# cgroups as the machine has them, but never both kinds at once: crun 1.8 refuses a hybrid whose cgroup2 has controllers.
v1=$(awk '!/^#/ && $2 != 0 && $4 == 1 { print $1 }' /proc/cgroups)
umount -R /sys 2> /dev/null || umount -R -l /sys
mount -t sysfs -o nosuid,nodev,noexec none /sys
if [ -n "$v1" ]; then
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for controller in $v1; do
    mkdir /sys/fs/cgroup/$controller
    mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller 2> /dev/null || rmdir /sys/fs/cgroup/$controller
  done
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd 2> /dev/null || rmdir /sys/fs/cgroup/systemd
else
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # Where there are processes, no controller can be handed down.
  mkdir /sys/fs/cgroup/init
  echo $$ > /sys/fs/cgroup/init/cgroup.procs
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo +$controller > /sys/fs/cgroup/cgroup.subtree_control
  done 2> /dev/null
fi

# Here nobody may raise a limit that root itself could not.
cat > /run/containers.conf << END
[containers]
default_ulimits = ["nofile=1000:1000", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END
export CONTAINERS_CONF=/run/containers.conf
# Older engines ask for every capability that they know, which the kernel refuses where root itself lacks one.
cat > /run/within << END
#!/bin/sh
for word; do
  case "\$before" in --bundle) file="\$word/config.json" ;; --process) file=\$word ;; *) file= ;; esac
  [ -z "\$file" ] || for name in $(cat "$works/absent"); do sed -i "s/\"\$name\",//g; s/,\"\$name\"//g" "\$file"; done
  before=\$word
done
exec runc "\$@"
END
chmod +x /run/within

# Waits until the command says yes.
until_true() {
  tries=0
  until "$@" > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { echo "never: $*" >&2; return 1; }
    sleep 0.05
  done
}

# Runs the function start_NAME when the programs are there.
engine() {
  engine=$1; shift
  case " ${ENGINES:-$engine} " in *" $engine "*) ;; *) return ;; esac
  for program; do
    command -v "$program" > /dev/null || { echo "missing $engine: $program is not installed"; return; }
  done
  if "start_$engine" > /run/out 2> /run/err < /dev/null; then
    echo "started $engine"
  else
    echo "missing $engine: $(tail -n 3 /run/err | tr '\n' ' ')"
  fi
}

start_podman() {
  podman import "$works/bb.tar" localhost/bb:1 &&
    podman pod create --infra=false --name pod > /run/pod &&
    podman run -d --network none --pod pod --name podman-plain localhost/bb:1 sleep 1000 &&
    podman run -d --network none --name podman-full --privileged localhost/bb:1 sleep 1000
}

start_rootless() {
  cp /etc/passwd /run/passwd
  echo 'selkietest:x:5000:5000::/run/home:/bin/sh' >> /run/passwd
  echo 'selkietest:200000:65536' > /run/ids
  mount --bind /run/passwd /etc/passwd && mount --bind /run/ids /etc/subuid && mount --bind /run/ids /etc/subgid || return 1
  mkdir -p -m 700 /run/user/5000 && chown 5000:5000 /run/home /run/user/5000
  for name in rootless-plain rootless-full; do
    flag=--privileged
    [ $name = rootless-full ] || flag=--privileged=false
    setpriv --reuid 5000 --regid 5000 --clear-groups env HOME=/run/home XDG_RUNTIME_DIR=/run/user/5000 \
      podman --storage-driver vfs run -d --network none --name $name $flag --rootfs "$works/theirs" sleep 1000 ||
      return 1
  done
}

start_containerd() {
  # Of its daemon the kubelet's half is not needed.
  printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' > /run/containerd.toml
  containerd --config /run/containerd.toml > /run/containerd.log 2>&1 &
  until_true ctr version && containerd_image && ctr image import /run/image.tar &&
    ctr run -d localhost/bb:1 containerd-plain /bin/sleep 1000 &&
    ctr run -d --privileged localhost/bb:1 containerd-full /bin/sleep 1000
}

# Makes an archive of an image of one layer, as `docker save` does.
containerd_image() {
  case $(uname -m) in aarch64) architecture=arm64 ;; *) architecture=amd64 ;; esac
  mkdir /run/image
  cp "$works/bb.tar" /run/image/layer.tar
  printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    $architecture "$(sha256sum < "$works/bb.tar" | cut -d ' ' -f 1)" > /run/image/config.json
  printf '[{"Config":"config.json","RepoTags":["localhost/bb:1"],"Layers":["layer.tar"]}]' > /run/image/manifest.json
  tar -C /run/image -cf /run/image.tar manifest.json config.json layer.tar
}

start_docker() {
  dockerd --containerd /run/containerd/containerd.sock --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs \
    --add-runtime within=/run/within > /run/dockerd.log 2>&1 &
  until_true docker version && docker import "$works/bb.tar" bb:1 || { tail -n 3 /run/dockerd.log >&2; return 1; }
  docker run -d --network none --name docker-plain bb:1 sleep 1000 || return 1
  docker run -d --network none --name docker-full --privileged bb:1 sleep 1000 || {
    docker rm docker-full && docker run -d --runtime within --network none --name docker-full --privileged bb:1 sleep 1000
  }
}

# The bundles are the test's.
start_runc() { runc run -d --bundle "$works/plain" runc-plain && runc run -d --bundle "$works/full" runc-full; }
start_crun() { crun run -d --bundle "$works/plain" crun-plain && crun run -d --bundle "$works/full" crun-full; }

start_lxc() {
  for name in lxc-plain lxc-full; do
    mkdir /var/lib/lxc/$name
    cat > /var/lib/lxc/$name/config << END
lxc.rootfs.path = dir:$works/rootfs
lxc.uts.name = $name
lxc.net.0.type = empty
lxc.init.cmd = /bin/sleep 1000
lxc.mount.auto = proc:mixed
END
    [ $name = lxc-full ] || echo 'lxc.cap.keep = chown kill setuid setgid' >> /var/lib/lxc/$name/config
    lxc-start -n $name -d -o /run/lxc.log && lxc-wait -n $name -s RUNNING -t 10 || { grep ERROR /run/lxc.log >&2; return 1; }
  done
}

start_nspawn() {
  for name in nspawn-plain nspawn-full; do
    cp -a "$works/rootfs" /var/lib/machines/$name || return 1
    flag=--capability=all
    [ $name = nspawn-full ] || flag=--capability=
    # Without a manager of services there is nobody to register with: the hard case.
    systemd-nspawn --quiet --register=no --keep-unit $flag --machine $name --directory /var/lib/machines/$name /bin/sleep 1000 &
    until_true pgrep -P $! sleep || return 1
  done
}

start_selkie() {
  $selkie run -d --name selkie-plain --rootfs "$works/rootfs" sleep 1000 &&
    $selkie run -d --name selkie-full --privileged --rootfs "$works/rootfs" sleep 1000
}

engine podman podman runc conmon
engine rootless podman runc conmon newuidmap
engine containerd containerd ctr runc containerd-shim-runc-v2
engine docker dockerd docker containerd runc
engine runc runc
engine crun crun
engine lxc lxc-start lxc-wait
engine nspawn systemd-nspawn pgrep
engine selkie sh
echo ready
while read -r line; do
  code=0
  (eval "$line") > "$works/out" 2> "$works/err" < /dev/null || code=$?
  echo "code $code"
done
