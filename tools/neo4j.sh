#!/bin/sh
# Fetches Neo4j Community's server from Maven Central into .neo4j, where the tests look for it.
# Needs Debian's maven and openjdk-17-jdk-headless; 128 MB.
set -eu
cd "$(dirname "$0")/.."
VERSION=${NEO4J_VERSION:-5.26.30}
OUT=$PWD/.neo4j
if [ -f "$OUT/neo4j-$VERSION.jar" ]; then
    echo "$OUT holds Neo4j $VERSION"
    exit 0
fi
for tool in mvn java; do
    command -v "$tool" >/dev/null || { echo "needs $tool: apt-get install maven openjdk-17-jdk-headless" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>umbra</groupId><artifactId>neo4j</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>$VERSION</version></dependency>
  </dependencies>
</project>
POM
mvn -B -q -f "$work/pom.xml" -Dmaven.repo.local="$work/m2" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$work/jars"
rm -rf "$OUT"
mv "$work/jars" "$OUT"
echo "Neo4j $VERSION in $OUT"
