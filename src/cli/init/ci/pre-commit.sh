#!/bin/sh
# Before each commit, once `git config core.hooksPath .githooks` was said. Checks what is saved, which may be more than what
# is added; `git commit --no-verify` does without.
set -eu
bascule check @INVENTORY@
bascule fmt --check @INVENTORY@
