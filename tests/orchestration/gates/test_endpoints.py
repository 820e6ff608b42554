"""Endpoints pass where a route leads to an app, in whatever way, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.gates.projects import verdict

LOGIN = 'from fastapi import APIRouter\nrouter = APIRouter(prefix="/login")\n' \
    '@router.post("")\ndef login(): ...\n'  # fmt: skip
MAIN = "from fastapi import FastAPI\nfrom backend import login\napp = FastAPI()\n"
INCLUDE = 'app.include_router(login.router, prefix="/api")\n'

RIGHT = {
    "fastapi": {"backend/__init__.py": "", "backend/login.py": LOGIN,
                "backend/main.py": MAIN + INCLUDE},
    "directly on the app": {
        "main.py": 'from fastapi import FastAPI\napp = FastAPI()\n'
                   '@app.post("/api/login")\nasync def login(): ...\n'},
    "by another name, through a re-export": {
        "backend/login.py": LOGIN,
        "backend/__init__.py": "from .login import router as login_router\n",
        "main.py": "from fastapi import FastAPI\nfrom backend import login_router as lr\n"
                   'app = FastAPI()\napp.include_router(router=lr, prefix="/api")\n'},
    "nested routers in a loop in a factory": {
        "backend/login.py": LOGIN,
        "backend/api.py": "from fastapi import APIRouter\nfrom . import login\n"
                          'api = APIRouter()\nfor r in (login.router,):\n'
                          '    api.include_router(r)\n',
        "backend/main.py": "from fastapi import FastAPI\nfrom backend.api import api\n"
                           'def create():\n    app = FastAPI()\n'
                           '    app.include_router(api, prefix="/api")\n    return app\n'},
    "a prefix that is computed": {
        "backend/login.py": LOGIN,
        "backend/main.py": MAIN + "app.include_router(login.router, prefix=settings.API)\n"},
    "add_api_route": {
        "main.py": "from fastapi import FastAPI\napp = FastAPI()\n"
                   'app.add_api_route("/api/login", login, methods=["POST"])\n'},
    "a constant of another module": {
        "backend/paths.py": 'LOGIN = "/api/login"\n',
        "backend/main.py": "from fastapi import FastAPI\nfrom backend.paths import LOGIN\n"
                           "app = FastAPI()\n@app.post(LOGIN)\ndef f(): ...\n"},
    "flask": {
        "app/auth.py": "from flask import Blueprint\n"
                       'bp = Blueprint("auth", __name__, url_prefix="/other")\n'
                       '@bp.route("/login", methods=["GET", "POST"])\ndef login(): ...\n',
        "app/__init__.py": "from flask import Flask\nfrom app.auth import bp\n"
                           "def create_app():\n    app = Flask(__name__)\n"
                           '    app.register_blueprint(bp, url_prefix="/api")\n    return app\n'},
    "flask, given to a function": {
        "app/auth.py": "from flask import Blueprint\n"
                       'bp = Blueprint("auth", __name__, url_prefix="/api")\n'
                       '@bp.post("/login")\ndef login(): ...\n'
                       "def init_app(app):\n    app.register_blueprint(bp)\n",
        "app/main.py": "from flask import Flask\nfrom app import auth\n"
                       "app = Flask(__name__)\nauth.init_app(app)\n"},
    "flask, by a rule": {
        "app.py": "from flask import Flask\napp = Flask(__name__)\n"
                  'app.add_url_rule("/api/login", view_func=login, methods=["POST"])\n'},
    "a router that a function makes": {
        "backend/login.py": "from fastapi import APIRouter\ndef build():\n"
                            '    r = APIRouter()\n    @r.post("/login")\n    def f(): ...\n'
                            "    return r\n",
        "main.py": "from fastapi import FastAPI\nfrom backend.login import build\n"
                   'app = FastAPI()\napp.include_router(build(), prefix="/api")\n'},
    "starlette": {
        "main.py": "from starlette.applications import Starlette\n"
                   "from starlette.routing import Mount, Route\n"
                   'routes = [Mount("/api", routes=[Route("/login", login, methods=["POST"])])]\n'
                   "app = Starlette(routes=routes)\n"},
    "django": {
        "site/settings.py": 'ROOT_URLCONF = "site.urls"\n',
        "site/urls.py": 'urlpatterns = [path("api/", include("accounts.urls"))]\n',
        "accounts/urls.py": 'urlpatterns = [path("login/", views.login)]\n',
        "site/__init__.py": "", "accounts/__init__.py": ""},
    "django, by patterns": {
        "site/settings.py": 'ROOT_URLCONF = "site.urls"\n',
        "site/urls.py": 'urlpatterns = [url(r"^api/", include("accounts.urls"))]\n',
        "accounts/urls.py": 'urlpatterns = [re_path(r"^login/?$", views.login)]\n'},
    "django's rest framework": {
        "site/settings.py": 'ROOT_URLCONF = "site.urls"\n',
        "site/urls.py": "router = DefaultRouter()\n"
                        'router.register(r"login", LoginSet)\n'
                        'urlpatterns = [path("api/", include(router.urls))]\n'},
    "express": {
        "src/login.ts": "import { Router } from 'express';\nconst router = Router();\n"
                        "router.post('/login', (req, res) => res.end());\n"
                        "export default router;\n",
        "src/app.ts": "import express from 'express';\nimport login from './login.js';\n"
                      "const app = express();\napp.use('/api', json(), login);\n"},
    "express, required": {
        "routes/login.js": "const router = require('express').Router()\n"
                           "router.route('/login').get(show).post(login)\n"
                           "module.exports = router\n",
        "app.js": "const app = express()\napp.use('/api', require('./routes/login'))\n"},
    "express, one call after another": {
        "src/login.ts": "const router = Router();\nrouter.post('/login', f);\n"
                        "export default router;\n",
        "src/routes.ts": "import login from './login';\nconst api = Router()\n"
                         "  .use(json())\n  .use(login)\n"
                         "export default Router().use('/api', api);\n",
        "src/main.ts": "import routes from './routes';\nconst app = express();\n"
                       "app.use(routes);\n"},
    "hono": {
        "src/login.ts": "export const login = new Hono().post('/login', (c) => c.json({}))\n",
        "src/index.ts": "import { login } from './login'\nconst app = new Hono()\n"
                        "app.route('/api', login)\nexport default app\n"},
    "hono, served by another": {
        "api/[...route].ts": "const app = new Hono().basePath('/api')\n"
                             "app.post('/login', (c) => c.json({}))\n"
                             "export default handle(app)\n"},
    "fastify": {
        "src/login.ts": "export default async function routes(fastify, options) {\n"
                        "  fastify.post<{ Body: B }>('/login', login)\n}\n",
        "src/app.ts": "import login from './login'\nconst app = Fastify({ logger: true })\n"
                      "app.register(login, { prefix: '/api' })\n"},
    "a function that is given the app": {
        "src/login.js": "module.exports = (app) => { app.post('/api/login', f) }\n",
        "src/app.js": "const login = require('./login')\nconst app = express()\nlogin(app)\n"},
    "next": {
        "package.json": '{"dependencies": {"next": "15"}}',
        "src/app/api/(auth)/login/route.ts": "export async function POST() {}\n"},
    "sveltekit": {
        "package.json": '{"devDependencies": {"@sveltejs/kit": "2"}}',
        "src/routes/api/login/+server.ts": "export const POST = async () => {};\n"},
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_an_endpoint_that_an_app_reaches_passes(name: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, RIGHT[name], "endpoint", "POST /api/login")
    assert found.startswith("pass: "), found


WRONG = {
    "no app includes it": (
        {"backend/login.py": LOGIN, "backend/main.py": MAIN}, "nothing includes the router of"),
    "only a test includes it": (
        {"backend/__init__.py": "", "backend/login.py": LOGIN, "backend/main.py": MAIN,
         "tests/test_login.py": MAIN + INCLUDE}, "only a test, tests/test_login.py:4"),
    "its parent is not included": (
        {"backend/login.py": LOGIN, "backend/main.py": MAIN, "backend/api.py":
         "from fastapi import APIRouter\nfrom backend.login import router\n"
         'api = APIRouter(prefix="/api")\napi.include_router(router)\n'}, "nothing includes"),
    "another method": (
        {"backend/login.py": LOGIN.replace("post", "get"), "backend/main.py": MAIN + INCLUDE},
        "backend/login.py:3 answers GET there, not POST"),
    "a comment, a docstring and a document": (
        {"main.py": '"""POST /api/login"""\n# @app.post("/api/login")\n'
                    "from fastapi import FastAPI\napp = FastAPI()\n"
                    '@app.get("/")\ndef f(): ...\n', "README.md": "`POST /api/login`\n"},
        "mentioned at README.md:1, defined nowhere"),
    "a client": (
        {"main.py": 'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/")\ndef f(): ...\n',
         "web/api.ts": "export const login = () => axios.post('/api/login');\n"},
        "mentioned at web/api.ts:1"),
    "a test's own app": (
        {"main.py": 'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/")\ndef f(): ...\n',
         "tests/test_a.py": 'app = FastAPI()\n@app.post("/api/login")\ndef f(): ...\n'},
        "mentioned at tests/test_a.py:2"),
    "a parameter in place of it": (
        {"main.py": 'from fastapi import FastAPI\napp = FastAPI()\n'
                    '@app.post("/api/{name}")\ndef f(name): ...\n'}, "nothing defines it"),
    "a function that nobody gives an app": (
        {"main.py": "from flask import Flask\napp = Flask(__name__)\n",
         "auth.py": 'def add(app):\n    @app.post("/api/login")\n    def f(): ...\n'},
        "nothing calls add() of auth.py:2"),
    "a router of another file with that name": (
        {"backend/a.py": LOGIN, "backend/b.py": LOGIN.replace("/login", "/other"),
         "backend/__init__.py": "", "backend/main.py":
         "from fastapi import FastAPI\nfrom backend.b import router\n"
         'app = FastAPI()\napp.include_router(router, prefix="/api")\n'}, "backend/a.py:3"),
    "express, in a comment": (
        {"src/login.js": "const router = express.Router()\nrouter.post('/login', f)\n"
                         "module.exports = router\n",
         "src/app.js": "const login = require('./login')\nconst app = express()\n"
                       "// app.use('/api', login)\n"}, "nothing includes the router of"),
    "express, in a test": (
        {"src/login.ts": "const router = Router();\nrouter.post('/api/login', f);\n"
                         "export default router;\n",
         "src/login.test.ts": "import login from './login';\nconst app = express();\n"
                              "app.use(login);\n"}, "only a test, src/login.test.ts:3"),
    "fastify, a plugin that nobody registers": (
        {"src/login.ts": "export default async function routes(fastify) {\n"
                         "  fastify.post('/api/login', login)\n}\n",
         "src/app.ts": "const app = Fastify()\n"}, "nothing includes the router of"),
    "django, a list that nothing includes": (
        {"site/settings.py": 'ROOT_URLCONF = "site.urls"\n', "site/urls.py": "urlpatterns = []\n",
         "accounts/urls.py": 'urlpatterns = [path("api/login/", views.login)]\n'},
        "nothing includes the router of accounts/urls.py:1"),
    "nothing at all": ({"a.py": "x = 1\n"}, "nothing defines it"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_an_endpoint_that_no_app_reaches_fails(name: str, tmp_path: Path) -> None:
    files, evidence = WRONG[name]
    found = verdict(tmp_path, files, "endpoint", "POST /api/login")
    assert found.startswith("fail: ") and evidence in found, found


DOUBTFUL = {
    "an include that only a run can tell": {
        "backend/login.py": LOGIN, "backend/main.py": MAIN + "from importlib import import_module\n"
        "for name in NAMES:\n    app.include_router(import_module(name).router)\n"},
    "an object that is made somehow": {
        "main.py": 'api = make_api()\n@api.post("/api/login")\ndef f(): ...\n'},
    "a file of a later Python": {
        "backend/login.py": LOGIN, "backend/main.py": MAIN + INCLUDE + "match = = 1\n"},
    "plugins of fastify that are loaded by themselves": {
        "src/routes/login.ts": "export default async (fastify) => {\n"
                               "  fastify.post('/login', f)\n}\n",
        "src/app.ts": "const app = fastify()\napp.register(fastifyAutoload, { dir })\n"},
    "another language": {"main.go": 'func main() {\n\tr.POST("/api/login", login)\n}\n'},
    "another framework": {
        "src/a.ts": "@Controller('api')\nclass A {\n  @Post('login')\n  login() {}\n}\n"},
    "no framework that is known": {"server.py": 'HANDLERS = {"/api/login": login}\n'},
    "django without settings": {
        "accounts/urls.py": 'urlpatterns = [path("api/login/", views.login)]\n'},
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_cannot_be_told_by_reading_is_unknown(name: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, DOUBTFUL[name], "endpoint", "POST /api/login")
    assert found.startswith("unknown: "), found


@pytest.mark.parametrize(
    "line",
    [
        "const base = process.env.BASE.replace(/\\/*$/, '')",
        "const only = text.match(/[/*]x/)",
        "const accept = <p>image/* or text</p>",
        "const half = a / b; /* half */ const more = c / d",
    ],
)
def test_what_looks_like_a_comment_and_is_none_hides_nothing(line: str, tmp_path: Path) -> None:
    code = "const express = require('express')\nconst app = express()\n"
    files = {"package.json": "{}", "src/app.js": f"{code}{line}\napp.post('/api/login', h)\n"}
    assert verdict(tmp_path, files, "endpoint", "POST /api/login").startswith("pass: ")


def test_another_prefix_than_the_planned_one_is_told(tmp_path: Path) -> None:
    files = {
        "backend/login.py": LOGIN,
        "backend/main.py": MAIN + "app.include_router(login.router)",
    }
    found = verdict(tmp_path, files, "endpoint", "POST /api/login")
    assert found == "warn: backend/login.py:3 answers at /login, not at /api/login"


def test_another_prefix_than_the_planned_one_is_no_endpoint_of_the_plan(tmp_path: Path) -> None:
    include = 'app.include_router(login.router, prefix="/status")'
    files = {"backend/login.py": LOGIN, "backend/main.py": MAIN + include}
    found = verdict(tmp_path, files, "endpoint", "POST /api/login", "backend/login.py")
    assert found == "fail: backend/login.py:3 answers at /status/login, not at /api/login"
    found = verdict(tmp_path, files, "endpoint", "POST /api/login", "backend/users.py")
    assert found.startswith("fail: nothing defines it")


@pytest.mark.parametrize(
    "files",
    [
        {"a/__init__.py": "from flask import Flask\nfrom a.auth import bp\napp = Flask(__name__)\n"
                          "app.register_blueprint(bp, url_prefix='/api')\n",
         "a/auth/__init__.py": "from flask import Blueprint\nbp = Blueprint('auth', __name__)\n",
         "a/auth/routes.py": "from a.auth import bp\n"
                             "@bp.route('/login', methods=['POST'])\ndef login(): ...\n"},
        {"a/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
         "a/login.py": "from a.main import app\n@app.post('/api/login')\ndef login(): ...\n"},
    ],
    ids=["a blueprint", "an app"],
)  # fmt: skip
def test_a_route_in_a_module_that_nothing_imports_is_doubtful(
    files: dict[str, str], tmp_path: Path
) -> None:
    found = verdict(tmp_path / "without", files, "endpoint", "POST /api/login")
    assert found.startswith("warn: ") and "nothing imports that file" in found
    [module] = [name for name in files if name in ("a/auth/routes.py", "a/login.py")]
    dotted = module.removesuffix(".py").replace("/", ".")
    whole = {**files, "a/start.py": f"import {dotted}\n"}
    assert verdict(tmp_path / "with", whole, "endpoint", "POST /api/login").startswith("pass: ")


def test_evidence_names_the_route_and_its_include(tmp_path: Path) -> None:
    found = verdict(tmp_path, RIGHT["fastapi"], "endpoint", "POST /api/login", "backend/api.py")
    assert found == (
        "pass: backend/login.py:3 defines it; backend/main.py:4 includes its router; "
        "not in backend/api.py, as planned"
    )


@pytest.mark.parametrize(
    "path",
    ["/users/{id}", "/users/:id", "/users/<int:id>", "/users/[id]", "/users/(?P<id>[^/]+)/?$"],
)
def test_a_parameter_is_one_however_it_is_written(path: str, tmp_path: Path) -> None:
    files = {"main.py": 'app = FastAPI()\n@app.get("/users/{user_id:int}")\ndef f(): ...\n'}
    assert verdict(tmp_path, files, "endpoint", f"GET {path}").startswith("pass: ")


def test_a_path_without_a_method_and_head_and_a_web_socket(tmp_path: Path) -> None:
    files = {"main.py": 'app = FastAPI()\n@app.get("/a")\ndef f(): ...\n'
                        '@app.websocket("/ws")\ndef g(): ...\n'}  # fmt: skip
    for wanted in ("/a", "HEAD /a", "WS /ws"):
        assert verdict(tmp_path, files, "endpoint", wanted).startswith("pass: ")
    assert verdict(tmp_path, files, "endpoint", "GET /ws").startswith("fail: ")


def test_routers_that_include_each_other_end(tmp_path: Path) -> None:
    files = {"a.py": "a = APIRouter()\nb = APIRouter()\na.include_router(b)\nb.include_router(a)\n"
                     '@a.get("/x")\ndef f(): ...\n'}  # fmt: skip
    assert verdict(tmp_path, files, "endpoint", "GET /x").startswith("fail: ")
