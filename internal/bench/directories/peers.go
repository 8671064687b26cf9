package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
)

// allPeers are those that save or restore, without those that are left out.
func (b *bench) allPeers() []peer {
	var peers []peer
	for _, p := range []peer{b.larderPeer(), tarPeer(), b.actionsPeer(), b.resticPeer(), borgPeer(), rsyncPeer(b), findPeer()} {
		if p.name == larder || !b.Without.MatchString(p.name) {
			peers = append(peers, p)
		}
	}
	return peers
}

// need marks a peer as absent if a program is not installed.
func need(p peer, programs ...string) peer {
	for _, program := range programs {
		if installed(program) == "" {
			p.absent = fmt.Sprintf("%s is not installed", program)
		}
	}
	return p
}

// larderPeer is the command, with the default settings.
func (b *bench) larderPeer() peer {
	remembers := func(s site) []string { return []string{"XDG_CACHE_HOME=" + s.state} }
	return peer{
		name: larder,
		save: func(s site, key string) command {
			return command{dir: s.parent, env: remembers(s), args: []string{b.programs.larder, "save", "--json", "--to", "type=local,dest=" + s.store, "--key", key, s.name}}
		},
		restore: func(s site, key, into string) command {
			return command{env: remembers(s), args: []string{b.programs.larder, "restore", "--json", "--from", "type=local,src=" + s.store, "--key", key, "--into", into, "--fail-on-miss"}}
		},
		moved: func(output []byte) (int64, error) {
			var report struct {
				Directories []struct{ Fetched struct{ Bytes int64 } }
			}
			if err := json.Unmarshal(output, &report); err != nil || len(report.Directories) != 1 {
				return 0, fmt.Errorf("larder restore reports %d directories, want 1: %w", len(report.Directories), err)
			}
			return report.Directories[0].Fetched.Bytes, nil
		},
	}
}

// tarPeer is what people write in scripts.
func tarPeer() peer {
	archive := func(s site, key string) string { return filepath.Join(s.store, key+".tar.zst") }
	return need(peer{
		name: tarZstd,
		save: func(s site, key string) command {
			return command{args: []string{"sh", "-c", `tar -cf - -C "$1" "$2" | zstd -q -T0 -3 -o "$3"`, "sh", s.parent, s.name, archive(s, key)}}
		},
		restore: func(s site, key, into string) command {
			return command{args: []string{"sh", "-c", `zstd -q -d -c "$1" | tar -x -C "$2"`, "sh", archive(s, key), into}}
		},
	}, "tar", "zstd")
}

// actionsPeer is GitHub's client, with the service of the project's tests, which
// keeps what it is sent in memory.
func (b *bench) actionsPeer() peer {
	run := func(s site, workspace, verb, key string) command {
		return command{
			dir: workspace,
			env: []string{
				"ACTIONS_CACHE_SERVICE_V2=1", "ACTIONS_RESULTS_URL=" + b.programs.service.URL, "ACTIONS_RUNTIME_TOKEN=" + b.programs.service.Token,
				"GITHUB_WORKSPACE=" + workspace, "RUNNER_TEMP=" + s.state,
			},
			args: []string{"node", filepath.Join(b.programs.actions, "cache.mjs"), verb, s.name, key},
		}
	}
	p := need(peer{
		name: actions,
		save: func(s site, key string) command { return run(s, s.parent, "save", b.unique(key)) },
		restore: func(s site, key, into string) command {
			return run(s, into, "restore", b.stored[key])
		},
	}, "node", "tar", "zstd")
	if b.programs.service == nil {
		p.absent = "npm is not installed"
	}
	return p
}

func (b *bench) resticPeer() peer {
	run := func(s site, dir string, args ...string) command {
		return command{dir: dir, env: []string{"RESTIC_PASSWORD=bench"}, args: append([]string{b.programs.restic, "-q", "--no-cache", "-r", s.store}, args...)}
	}
	return peer{
		name: restic,
		init: func(s site) command { return run(s, "", "init") },
		save: func(s site, key string) command { return run(s, s.parent, "backup", "--tag", key, s.name) },
		restore: func(s site, key, into string) command {
			return run(s, "", "restore", "latest", "--tag", key, "--overwrite", "if-changed", "--target", into)
		},
	}
}

func borgPeer() peer {
	run := func(s site, dir string, args ...string) command {
		return command{
			dir: dir, args: append([]string{"borg"}, args...),
			env: []string{"BORG_BASE_DIR=" + s.state, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes", "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes"},
		}
	}
	return need(peer{
		name: borg,
		init: func(s site) command { return run(s, "", "init", "-e", "none", s.store) },
		save: func(s site, key string) command {
			return run(s, s.parent, "create", "-C", "zstd,3", s.store+"::"+key, s.name)
		},
		restore: func(s site, key, into string) command { return run(s, into, "extract", s.store+"::"+key) },
	}, "borg")
}

// rsyncPeer copies from the tree itself.
func rsyncPeer(b *bench) peer {
	return need(peer{
		name: rsync,
		restore: func(s site, key, into string) command {
			from := b.tree
			if key != keyOf(b.version) {
				from = b.old()
			}
			return command{args: []string{"rsync", "-a", from, into + "/"}}
		},
	}, "rsync")
}

// findPeer does no more than look at everything.
func findPeer() peer {
	return need(peer{
		name: find,
		save: func(s site, _ string) command {
			return command{dir: s.parent, discard: true, args: []string{"find", s.name, "-printf", `%p %y %m %s %T@ %C@ %i %n %l\n`}}
		},
	}, "find")
}
