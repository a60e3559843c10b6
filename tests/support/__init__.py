"""What tests share: small worlds, slow twins, and where things lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "tests" / "plugins"
TROUBLEMAKER = str(ROOT / "tests" / "support" / "troublemaker.py")
