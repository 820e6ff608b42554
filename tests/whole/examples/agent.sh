# Does what an agent would do for the plan that it drafts: ADW_PHASE says what it is asked for.
route() {
    printf 'from fastapi import APIRouter\n\nrouter = APIRouter()\n\n\n@router.%s\ndef %s() -> dict[str, str]:\n    return {}\n' "$1" "$2"
}
case ${ADW_PHASE-} in
'') cp "$(dirname "$0")/login.md" plans/login.md && exit ;;
*.1) printf 'def sign(name: str) -> str:\n    return name\n' >app/tokens.py
    printf 'from app.tokens import sign\n\nSIGN = sign\n' >>app/main.py ;;
*.2) route 'post("/api/login")' login >app/login.py ;;
*.3) route 'get("/api/me")' me >app/me.py ;;
esac
git add app && git commit --quiet --message work && echo built
