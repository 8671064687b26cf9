// Saves or restores a directory by @actions/cache: cache.mjs save|restore PATH KEY.
import { saveCache, restoreCache } from '@actions/cache'

const [verb, path, key] = process.argv.slice(2)
if (verb === 'save') {
  if ((await saveCache([path], key)) < 0) process.exit(1)
} else if ((await restoreCache([path], key)) !== key) {
  process.exit(1)
}
