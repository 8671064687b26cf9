package local

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// volumeOf returns what the system tells of the file system at a path.
func volumeOf(path string) (volume, error) {
	dir, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return volume{}, err
	}
	var v volume
	if err := windows.GetDiskFreeSpaceEx(dir, &v.free, nil, nil); err != nil {
		return volume{}, err
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(path) + `\`)
	if err != nil {
		return volume{}, err
	}
	var flags uint32
	name := make([]uint16, windows.MAX_PATH+1)
	if err := windows.GetVolumeInformation(root, nil, 0, nil, nil, &flags, &name[0], uint32(len(name))); err != nil {
		return volume{}, err
	}
	v.kind = windows.UTF16ToString(name)
	v.readOnly = flags&windows.FILE_READ_ONLY_VOLUME != 0
	kind := windows.GetDriveType(root)
	v.network, v.inMemory = kind == windows.DRIVE_REMOTE, kind == windows.DRIVE_RAMDISK
	return v, nil
}

// mayWrite returns why this user cannot create anything in a directory: the
// access lists of Windows can only be asked by trying.
func mayWrite(dir string) error {
	f, err := os.CreateTemp(dir, probeFile)
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// probeFile begins the name of the file that mayWrite creates.
const probeFile = ".larder-doctor-"
