#!/usr/bin/env bash
# Run a tool of .venv on the import package: scripts/in_tree.sh mypy
#
# mypy and import-linter cannot follow setup.py's package_dir. A tree of links under build/
# shows them tfx_shrink, tfx_shrink.pipelines and tfx_shrink.kubeflow as one package.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=$1
shift

tree=build/tree/tfx_shrink
rm -rf build/tree
mkdir -p "$tree"
for entry in components/* pipelines kubeflow; do
  if [[ ${entry##*/} != __pycache__ ]]; then
    ln -s "../../../$entry" "$tree/"
  fi
done

# Messages should name the files that people edit.
PYTHONPATH=build/tree ".venv/bin/$tool" "$@" 2>&1 | sed \
  -e 's,build/tree/tfx_shrink/pipelines/,pipelines/,g' \
  -e 's,build/tree/tfx_shrink/kubeflow/,kubeflow/,g' \
  -e 's,build/tree/tfx_shrink/,components/,g'
