//go:build !unix

package archive

import "os"

func openFile(name string) (*oldFile, error) {
	f, err := os.Open(name)
	return &oldFile{f}, err
}
