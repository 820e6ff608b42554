// vite --config vite.ports.config.mjs: your own config, on this worktree's port and no other.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfigFromFile, mergeConfig } from 'vite'

const server = { port: {port}, strictPort: true }

export default async (env) => {
  for (const [name, value] of Object.entries({variables})) {
    process.env[name] ??= value
  }
  const own = await loadConfigFromFile(env, undefined, dirname(fileURLToPath(import.meta.url)))
  return mergeConfig(own?.config ?? {}, { server, preview: server })
}
