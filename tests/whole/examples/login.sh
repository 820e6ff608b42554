# What a reader of the README has before its second session: an application, and an agent, which
# stands for Claude Code here. It writes what it is asked for, and forgets to include a router.
mkdir -p ~/.config/adw-worktree app
cat >~/.config/adw-worktree/config.toml <<TOML
[agents.claude]
command = ["sh", "$EXAMPLES/agent.sh"]
reads = "text"
TOML
printf 'from fastapi import FastAPI\n\nfrom app import me\n\napp = FastAPI()\napp.include_router(me.router)\n' >app/main.py
printf 'from fastapi import APIRouter\n\nrouter = APIRouter()\n' >app/me.py
touch app/__init__.py
git add app && git commit --quiet --message app
