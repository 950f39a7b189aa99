#!/bin/sh
# Install Chromium for the report's browser test where that is possible; where it is not, that test skips and says so.
set -u
if command -v chromium >/dev/null 2>&1; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "chromium is absent and cannot be installed from here; the report's browser test will skip"
  exit 0
fi
echo "installing chromium for the report's browser test ..."
apt-get update -qq &&
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null ||
  echo "chromium could not be installed; the report's browser test will skip"
exit 0
