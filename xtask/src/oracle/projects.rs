//! The projects that are downloaded, each pinned and each of another shape.

/// A module of a project, as it is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// `path@version`.
    pub(crate) module: &'static str,
    /// Where its files lie in the project; empty for the project's own folder.
    pub(crate) folder: &'static str,
}

/// A project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Project {
    pub(crate) name: &'static str,
    /// What it has that others have not.
    pub(crate) shape: &'static str,
    pub(crate) parts: &'static [Part],
    /// Whether a go.work with all parts is made.
    pub(crate) workspace: bool,
    /// Whether go 1.21 accepts its go line; then it is compared with go 1.21 too.
    pub(crate) old: bool,
    /// Whether it is small enough for `cargo xtask test`.
    pub(crate) small: bool,
}

impl Project {
    /// The project of this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PROJECTS.iter().find(|project| project.name == name)
    }
}

const fn one(name: &'static str, part: &'static [Part], shape: &'static str) -> Project {
    Project { name, shape, parts: part, workspace: false, old: false, small: false }
}

const fn old(project: Project) -> Project {
    Project { old: true, ..project }
}

const fn small(project: Project) -> Project {
    Project { small: true, ..project }
}

const fn workspace(project: Project) -> Project {
    Project { workspace: true, ..project }
}

/// `[module@version]`, or `[module@version in folder, …]`.
macro_rules! parts {
    ($($module:literal $(in $folder:literal)?),+ $(,)?) => {
        &[$(Part { module: $module, folder: concat!($($folder)?) }),+]
    };
}

/// All of them.
pub(crate) const PROJECTS: &[Project] = &[
    small(old(one(
        "testify",
        parts!["github.com/stretchr/testify@v1.3.0"],
        "go.mod without a go line, which go mod download adds",
    ))),
    small(old(one("cobra", parts!["github.com/spf13/cobra@v1.8.1"], "go 1.15"))),
    small(old(one(
        "sprig",
        parts!["github.com/Masterminds/sprig/v3@v3.2.3"],
        "go 1.13, the full graph, upper-case paths",
    ))),
    old(one("gin", parts!["github.com/gin-gonic/gin@v1.7.7"], "go 1.13")),
    old(one("viper", parts!["github.com/spf13/viper@v1.7.1"], "go 1.12, the full graph of 155 modules, gopkg.in")),
    old(one(
        "containerregistry",
        parts!["github.com/google/go-containerregistry@v0.19.0"],
        "go 1.18, +incompatible, a vendor list that is not complete",
    )),
    old(one(
        "prometheus",
        parts!["github.com/prometheus/prometheus@v0.45.0"],
        "go 1.19, 182 modules, replace by another module, exclude",
    )),
    old(one(
        "buildkit",
        parts!["github.com/moby/buildkit@v0.12.5"],
        "go 1.20, +incompatible, pseudo-versions, a vendor list that is not complete",
    )),
    old(one(
        "compose",
        parts!["github.com/docker/compose/v2@v2.24.5"],
        "go 1.21, 175 modules, replace by other modules",
    )),
    old(one("hugo", parts!["github.com/gohugoio/hugo@v0.123.0"], "go 1.20, upper-case paths, large zips")),
    old(workspace(one(
        "kubernetes-staging",
        parts![
            "k8s.io/api@v0.29.0" in "api",
            "k8s.io/apimachinery@v0.29.0" in "apimachinery",
            "k8s.io/client-go@v0.29.0" in "client-go",
            "k8s.io/component-base@v0.29.0" in "component-base",
            "k8s.io/apiserver@v0.29.0" in "apiserver",
        ],
        "go.work of 5 modules that replace each other by versions; the checksum database is asked for 155",
    ))),
    small(workspace(one(
        "opentelemetry",
        parts![
            "go.opentelemetry.io/otel@v1.35.0",
            "go.opentelemetry.io/otel/metric@v1.35.0" in "metric",
            "go.opentelemetry.io/otel/sdk@v1.35.0" in "sdk",
            "go.opentelemetry.io/otel/trace@v1.35.0" in "trace",
        ],
        "go.work of 4 modules that replace each other by folders",
    ))),
    one(
        "etcd",
        parts![
            "go.etcd.io/etcd/v3@v3.5.21",
            "go.etcd.io/etcd/api/v3@v3.5.21" in "api",
            "go.etcd.io/etcd/client/pkg/v3@v3.5.21" in "client/pkg",
            "go.etcd.io/etcd/client/v2@v2.305.21" in "client/v2",
            "go.etcd.io/etcd/client/v3@v3.5.21" in "client/v3",
            "go.etcd.io/etcd/etcdctl/v3@v3.5.21" in "etcdctl",
            "go.etcd.io/etcd/etcdutl/v3@v3.5.21" in "etcdutl",
            "go.etcd.io/etcd/pkg/v3@v3.5.21" in "pkg",
            "go.etcd.io/etcd/raft/v3@v3.5.21" in "raft",
            "go.etcd.io/etcd/server/v3@v3.5.21" in "server",
            "go.etcd.io/etcd/tests/v3@v3.5.21" in "tests",
        ],
        "go 1.23.0, toolchain line, replace by 10 folders",
    ),
    one("golangci-lint", parts!["github.com/golangci/golangci-lint@v1.60.3"], "go 1.22.1, 190 modules"),
    one("controller-runtime", parts!["sigs.k8s.io/controller-runtime@v0.20.0"], "go 1.23.0, pseudo-versions"),
    one("kubectl", parts!["k8s.io/kubectl@v0.32.0"], "go 1.23.0, godebug lines"),
    one("glow", parts!["github.com/charmbracelet/glow/v2@v2.1.0"], "go 1.23.6, pseudo-versions"),
    one("nfpm", parts!["github.com/goreleaser/nfpm/v2@v2.41.0"], "go 1.21, upper-case paths, gopkg.in"),
    one("caddy", parts!["github.com/caddyserver/caddy/v2@v2.10.0"], "go 1.24, 146 modules"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_versions_pinned() {
        for project in PROJECTS {
            assert_eq!(PROJECTS.iter().filter(|other| other.name == project.name).count(), 1, "{}", project.name);
            for part in project.parts {
                assert!(part.module.contains("@v"), "{}", part.module);
            }
        }
    }

    #[test]
    fn there_are_as_many_as_promised() {
        let count = |wanted: fn(&Project) -> bool| PROJECTS.iter().filter(|project| wanted(project)).count();
        assert!(PROJECTS.len() >= 15);
        assert!(count(|project| project.old) >= 5);
        assert!(count(|project| project.workspace) >= 2);
        assert!((3..=4).contains(&count(|project| project.small)));
    }
}
