"""A component passes where another file imports and uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.gates.projects import verdict

FORM = "export function LoginForm() { return <form /> }\n"
DEFAULT = "const LoginForm = () => <form />;\nexport default memo(LoginForm);\n"
PAGE = "import { LoginForm } from './LoginForm';\nexport const Page = () => <LoginForm a={1} />;\n"
ENTRY = "import { Page } from './Page';\nrender(<Page />);\n"

RIGHT = {
    "react": {"src/LoginForm.tsx": FORM, "src/Page.tsx": PAGE, "src/main.tsx": ENTRY},
    "default, by another name, from an alias": {
        "src/forms/LoginForm.jsx": DEFAULT,
        "src/App.jsx": "import Form from '@/forms/LoginForm'\nexport default () => <Form/>\n"},
    "through a barrel": {
        "src/forms/LoginForm.tsx": FORM, "src/forms/index.ts": "export * from './LoginForm';\n",
        "src/App.tsx": "import {\n  Other,\n  LoginForm,\n} from './forms';\n"
                       "export const App = () => (\n  <LoginForm\n  />\n);\n"},
    "through a barrel, default by name": {
        "src/forms/LoginForm.tsx": DEFAULT,
        "src/forms/index.ts": "export { default as LoginForm } from './LoginForm';\n",
        "src/App.tsx": "import { LoginForm } from './forms';\nlet a = <LoginForm />;\n"},
    "as a page of next": {
        "package.json": '{"dependencies": {"next": "15"}}', "pages/LoginForm.tsx": DEFAULT},
    "as a screen of expo": {
        "package.json": '{"dependencies": {"expo-router": "4"}}', "app/LoginForm.tsx": DEFAULT},
    "lazily": {
        "src/LoginForm.tsx": DEFAULT,
        "src/App.tsx": "const Form = lazy(() => import('./LoginForm'));\n"},
    "in a table of routes": {
        "src/LoginForm.tsx": FORM,
        "src/main.tsx": "import { LoginForm } from './LoginForm'\n"
                        "const routes = [{ path: '/login', Component: LoginForm }]\n"},
    "vue": {
        "src/LoginForm.vue": "<template><form/></template>\n",
        "src/App.vue": "<script setup>\nimport LoginForm from './LoginForm.vue'\n</script>\n"
                       "<template><login-form /></template>\n"},
    "nuxt imports it by itself": {
        "package.json": '{"dependencies": {"nuxt": "3"}}',
        "components/LoginForm.vue": "<template><form/></template>\n",
        "pages/login.vue": "<template><LoginForm /></template>\n"},
    "svelte": {
        "src/LoginForm.svelte": "<form/>\n",
        "src/App.svelte": "<script>import LoginForm from './LoginForm.svelte'</script>\n"
                          "<LoginForm/>\n"},
    "a page of a framework": {
        "package.json": '{"dependencies": {"next": "15"}}',
        "app/login/page.tsx": "export default function LoginForm() {}\n"},
    "in its own file": {
        "src/App.tsx": "function LoginForm() {}\nexport const App = () => <LoginForm />\n"},
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_component_in_use_passes(name: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, RIGHT[name], "component", "LoginForm")
    assert found.startswith("pass: "), found


NEXT = '{"dependencies": {"next": "15"}}'
WRONG = {
    "beside a page of next": ({
        "package.json": NEXT, "app/login/page.tsx": "export default function P() {}\n",
        "app/login/LoginForm.tsx": FORM}, "nothing imports it"),
    "in a private folder of next": (
        {"package.json": NEXT, "pages/_parts/LoginForm.tsx": FORM}, "nothing imports it"),
    "beside a page of sveltekit": ({
        "package.json": '{"devDependencies": {"@sveltejs/kit": "2"}}',
        "src/routes/login/+page.svelte": "<p>x</p>\n",
        "src/routes/login/LoginForm.svelte": "<form></form>\n"}, "nothing imports it"),
    "nobody imports it": (
        {"src/LoginForm.tsx": FORM, "src/main.tsx": "render();\n"}, "nothing imports it"),
    "a test and a story import it": (
        {"src/LoginForm.tsx": FORM, "src/LoginForm.test.tsx": PAGE,
         "src/LoginForm.stories.tsx": PAGE}, "nothing imports it"),
    "a comment uses it": (
        {"src/LoginForm.tsx": FORM,
         "src/App.tsx": "// import { LoginForm } from './LoginForm'\n/* <LoginForm /> */\n"},
        "nothing imports it"),
    "an import that is not used": (
        {"src/LoginForm.tsx": FORM, "src/App.tsx": "import { LoginForm } from './LoginForm'\n"},
        "src/App.tsx:1 imports it and does not use it"),
    "a barrel that nobody imports": (
        {"src/LoginForm.tsx": FORM, "src/index.ts": "export * from './LoginForm'\n"},
        "nothing imports it"),
    "another of that name is used": (
        {"src/LoginForm.tsx": FORM, "src/App.tsx":
         "import { LoginForm } from 'forms-for-all'\nlet a = <LoginForm />\n"},
        "nothing imports it"),
    "it is in a document alone": ({"README.md": "LoginForm\n"}, "only README.md:1 mentions it"),
    "it is nowhere": ({"src/App.tsx": "let a\n"}, "nothing names it"),
    "it is kept and unused": (
        {"src/App.tsx": "function LoginForm() {}\nexport const App = () => 1\n"},
        "does not use it"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_component_out_of_use_fails(name: str, tmp_path: Path) -> None:
    files, evidence = WRONG[name]
    found = verdict(tmp_path, files, "component", "LoginForm")
    assert found.startswith("fail: ") and evidence in found, found


def test_a_component_that_only_an_unused_file_uses_warns(tmp_path: Path) -> None:
    files = {"src/LoginForm.tsx": FORM, "src/Page.tsx": PAGE, "src/main.tsx": "render();\n"}
    found = verdict(tmp_path, files, "component", "LoginForm")
    assert found == (
        "warn: src/LoginForm.tsx:1 defines it; src/Page.tsx:2 uses it, which nothing imports"
    )


@pytest.mark.parametrize(
    ("said", "package"),
    [
        ("@components/LoginForm", "{}"),
        ("components/LoginForm", "{}"),
        ("$parts/LoginForm.tsx", "{}"),
        ("@acme/ui", '{"name": "@acme/ui", "dependencies": {"@acme/ui": "workspace:*"}}'),
    ],
)
def test_an_import_that_cannot_be_followed_is_no_fault(
    said: str, package: str, tmp_path: Path
) -> None:
    files = {
        "package.json": package,
        "source/forms/LoginForm.tsx": FORM,
        "source/main.tsx": f"import {{ LoginForm }} from '{said}';\nrender(<LoginForm />);\n",
    }
    found = verdict(tmp_path / "a", files, "component", "LoginForm")
    assert found.startswith("unknown: ") and "source/main.tsx:1 may import it" in found
    files["package.json"] = '{"dependencies": {"antd": "5"}}'
    files["source/main.tsx"] = "import { LoginForm } from 'antd';\nrender(<LoginForm />);\n"
    assert verdict(tmp_path / "b", files, "component", "LoginForm").startswith("fail: ")


def test_a_component_among_files_that_are_loaded_together_is_unknown(tmp_path: Path) -> None:
    files = {
        "src/forms/LoginForm.tsx": FORM,
        "src/main.ts": "const all = import.meta.glob('./forms/*.tsx');\n",
    }
    assert verdict(tmp_path, files, "component", "LoginForm").startswith("unknown: ")
