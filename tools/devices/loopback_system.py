"""Makes the file system of a loopback device, with the programs of Android on it."""

#: Makes it, in a mount namespace, and stays.
ROOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {root}
for one in /*; do
  case $one in /data|/system|/sys) continue;; esac
  if [ -L $one ]; then cp -P $one {root}$one
  elif [ -d $one ]; then mkdir {root}$one; mount --rbind $one {root}$one
  fi
done
mkdir -p {root}/data {root}/system {root}/sys/devices {root}/sys/class/power_supply/battery
mount --rbind /sys/devices {root}/sys/devices
mount --bind {system} {root}/system
mount --bind {system}/battery {root}/sys/class/power_supply/battery
mount -t tmpfs -o size={size}{options} tmpfs {root}/data
mkdir -p {root}/data/local/tmp {root}/data/media/0
ln -s /data/media/0 {root}/sdcard
echo ready
exec sleep infinity
"""
#: Runs Python on the ARM64 kernels.
ARM64 = """#!/bin/sh
unset LD_LIBRARY_PATH
export {environment}
exec {python} "$@"
"""
GETPROP = """#!/bin/sh
[ $# = 0 ] && exec cat /system/properties
sed -n "s/^\\[$1\\]: \\[\\(.*\\)\\]$/\\1/p" /system/properties
"""
DUMPSYS = """#!/bin/sh
[ -f /system/dumpsys/$1 ] || { echo "Can't find service: $1"; exit 0; }
exec cat /system/dumpsys/$1
"""
#: What `getprop` says.
PROPERTIES = {
    "ro.product.manufacturer": "Loopback",
    "ro.product.model": "Loopback One",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.cpu.abilist": "arm64-v8a",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.soc.manufacturer": "QEMU",
    "ro.soc.model": "cortex-a76",
    "ro.serialno": "SECRET0123",
}
#: What `dumpsys battery` says.
BATTERY = {
    "AC powered": "false",
    "USB powered": "false",
    "level": "81",
    "voltage": "4000",
    "temperature": "274",
}
