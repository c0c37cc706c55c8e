//! Every field of the types that make up a Pod, with what podwright does with it.

use super::rule::Rule::{Idle, Inside, NotYet, Only, Yes};
use super::rule::Table;

const WRITTEN_HERE: &str = "podwright writes it itself when the pod is created";
const NO_SCHEDULER: &str = "there is one node, so nothing is scheduled";
const NO_ACCOUNTS: &str = "there are no service accounts without a cluster";
const NO_PREEMPTION: &str = "no pod is evicted for another on this node";

/// Pod.
pub(super) static POD: Table = Table {
    rows: &[
        ("apiVersion", Yes),
        ("kind", Yes),
        ("metadata", Inside(&META)),
        ("spec", Inside(&SPEC)),
        ("status", Idle("podwright writes the status itself")),
    ],
};

/// ObjectMeta.
pub(super) static META: Table = Table {
    rows: &[
        ("annotations", Yes),
        ("creationTimestamp", Idle(WRITTEN_HERE)),
        ("deletionGracePeriodSeconds", Idle(WRITTEN_HERE)),
        ("deletionTimestamp", Idle(WRITTEN_HERE)),
        (
            "finalizers",
            Idle(
                "no controller runs here that would take them away, so deletion does not wait for them",
            ),
        ),
        ("generateName", NotYet),
        ("generation", Idle(WRITTEN_HERE)),
        ("labels", Yes),
        ("managedFields", Idle("fields have no managers here")),
        ("name", Yes),
        ("namespace", Yes),
        (
            "ownerReferences",
            Idle("no controller runs here that would own the pod"),
        ),
        ("resourceVersion", Idle(WRITTEN_HERE)),
        ("selfLink", Idle(WRITTEN_HERE)),
        ("uid", Idle(WRITTEN_HERE)),
    ],
};

/// PodSpec.
pub(super) static SPEC: Table = Table {
    rows: &[
        ("activeDeadlineSeconds", Yes),
        ("affinity", Idle(NO_SCHEDULER)),
        ("automountServiceAccountToken", Idle(NO_ACCOUNTS)),
        ("containers", Inside(&CONTAINER)),
        ("dnsConfig", Yes),
        ("dnsPolicy", Yes),
        ("enableServiceLinks", Yes),
        ("ephemeralContainers", Yes),
        ("hostAliases", Yes),
        ("hostIPC", Yes),
        ("hostNetwork", Yes),
        ("hostPID", Yes),
        ("hostUsers", Only(&["true"])),
        ("hostname", Yes),
        ("hostnameOverride", NotYet),
        (
            "imagePullSecrets",
            Idle("images are imported, not pulled with credentials"),
        ),
        ("initContainers", Inside(&CONTAINER)),
        ("nodeName", Idle(NO_SCHEDULER)),
        ("nodeSelector", Idle(NO_SCHEDULER)),
        ("os", Inside(&OS)),
        ("overhead", Yes),
        ("preemptionPolicy", Idle(NO_PREEMPTION)),
        ("priority", Idle(NO_PREEMPTION)),
        ("priorityClassName", Idle(NO_PREEMPTION)),
        ("readinessGates", Yes),
        ("resourceClaims", NotYet),
        ("resources", Inside(&RESOURCES)),
        ("restartPolicy", Yes),
        ("runtimeClassName", NotYet),
        ("schedulerName", Idle(NO_SCHEDULER)),
        ("schedulingGates", NotYet),
        ("schedulingGroup", NotYet),
        ("securityContext", Inside(&POD_SECURITY)),
        ("serviceAccount", Idle(NO_ACCOUNTS)),
        ("serviceAccountName", Idle(NO_ACCOUNTS)),
        ("setHostnameAsFQDN", NotYet),
        ("shareProcessNamespace", Yes),
        ("subdomain", Yes),
        ("terminationGracePeriodSeconds", Yes),
        ("tolerations", Idle(NO_SCHEDULER)),
        ("topologySpreadConstraints", Idle(NO_SCHEDULER)),
        ("volumes", Inside(&VOLUME)),
    ],
};

/// PodOS.
pub(super) static OS: Table = Table {
    rows: &[("name", Only(&["linux"]))],
};

/// Container.
pub(super) static CONTAINER: Table = Table {
    rows: &[
        ("args", Yes),
        ("command", Yes),
        ("env", Inside(&ENV)),
        ("envFrom", Yes),
        ("image", Yes),
        ("imagePullPolicy", Yes),
        ("lifecycle", Inside(&LIFECYCLE)),
        ("livenessProbe", Inside(&PROBE)),
        ("name", Yes),
        ("ports", Inside(&PORT)),
        ("readinessProbe", Inside(&PROBE)),
        ("resizePolicy", Yes),
        ("resources", Inside(&RESOURCES)),
        ("restartPolicy", Yes),
        ("restartPolicyRules", Yes),
        ("securityContext", Inside(&SECURITY)),
        ("startupProbe", Inside(&PROBE)),
        ("stdin", Yes),
        ("stdinOnce", Yes),
        ("terminationMessagePath", Yes),
        ("terminationMessagePolicy", Yes),
        ("tty", Yes),
        ("volumeDevices", NotYet),
        ("volumeMounts", Inside(&MOUNT)),
        ("workingDir", Yes),
    ],
};

/// Lifecycle.
pub(super) static LIFECYCLE: Table = Table {
    rows: &[
        ("postStart", Inside(&HOOK)),
        ("preStop", Inside(&HOOK)),
        ("stopSignal", Yes),
    ],
};

/// LifecycleHandler.
pub(super) static HOOK: Table = Table {
    rows: &[
        ("exec", Yes),
        ("httpGet", Inside(&HTTP_GET)),
        ("sleep", Yes),
        ("tcpSocket", Yes),
    ],
};

/// Probe.
pub(super) static PROBE: Table = Table {
    rows: &[
        ("exec", Yes),
        ("failureThreshold", Yes),
        ("grpc", Yes),
        ("httpGet", Inside(&HTTP_GET)),
        ("initialDelaySeconds", Yes),
        ("periodSeconds", Yes),
        ("successThreshold", Yes),
        ("tcpSocket", Yes),
        ("terminationGracePeriodSeconds", Yes),
        ("timeoutSeconds", Yes),
    ],
};

/// HTTPGetAction.
pub(super) static HTTP_GET: Table = Table {
    rows: &[
        ("host", Yes),
        ("httpHeaders", Yes),
        ("path", Yes),
        ("port", Yes),
        ("scheme", Only(&["HTTP"])),
    ],
};

/// EnvVar.
pub(super) static ENV: Table = Table {
    rows: &[
        ("name", Yes),
        ("value", Yes),
        ("valueFrom", Inside(&ENV_SOURCE)),
    ],
};

/// EnvVarSource.
pub(super) static ENV_SOURCE: Table = Table {
    rows: &[
        ("configMapKeyRef", Yes),
        ("fieldRef", Yes),
        ("fileKeyRef", NotYet),
        ("resourceFieldRef", Yes),
        ("secretKeyRef", Yes),
    ],
};

/// ContainerPort.
pub(super) static PORT: Table = Table {
    rows: &[
        ("containerPort", Yes),
        ("hostIP", Yes),
        ("hostPort", Yes),
        ("name", Yes),
        ("protocol", Yes),
    ],
};

/// ResourceRequirements.
pub(super) static RESOURCES: Table = Table {
    rows: &[("claims", NotYet), ("limits", Yes), ("requests", Yes)],
};

/// VolumeMount.
pub(super) static MOUNT: Table = Table {
    rows: &[
        ("mountPath", Yes),
        ("mountPropagation", Yes),
        ("name", Yes),
        ("readOnly", Yes),
        ("recursiveReadOnly", Only(&["Disabled", "IfPossible"])),
        ("subPath", Yes),
        ("subPathExpr", Yes),
    ],
};

/// SecurityContext.
pub(super) static SECURITY: Table = Table {
    rows: &[
        ("allowPrivilegeEscalation", Yes),
        ("appArmorProfile", Inside(&APP_ARMOR)),
        ("capabilities", Yes),
        ("privileged", Yes),
        ("procMount", Only(&["Default"])),
        ("readOnlyRootFilesystem", Yes),
        ("runAsGroup", Yes),
        ("runAsNonRoot", Yes),
        ("runAsUser", Yes),
        ("seLinuxOptions", NotYet),
        ("seccompProfile", Yes),
        ("windowsOptions", NotYet),
    ],
};

/// PodSecurityContext.
pub(super) static POD_SECURITY: Table = Table {
    rows: &[
        ("appArmorProfile", Inside(&APP_ARMOR)),
        ("fsGroup", Yes),
        (
            "fsGroupChangePolicy",
            Idle("as in Kubernetes, it has no effect on the kinds of volumes that there are here"),
        ),
        ("runAsGroup", Yes),
        ("runAsNonRoot", Yes),
        ("runAsUser", Yes),
        ("seLinuxChangePolicy", NotYet),
        ("seLinuxOptions", NotYet),
        ("seccompProfile", Yes),
        ("supplementalGroups", Yes),
        ("supplementalGroupsPolicy", Yes),
        ("sysctls", Yes),
        ("windowsOptions", NotYet),
    ],
};

/// AppArmorProfile.
pub(super) static APP_ARMOR: Table = Table {
    rows: &[("localhostProfile", Yes), ("type", Yes)],
};

/// Volume.
pub(super) static VOLUME: Table = Table {
    rows: &[
        ("awsElasticBlockStore", NotYet),
        ("azureDisk", NotYet),
        ("azureFile", NotYet),
        ("cephfs", NotYet),
        ("cinder", NotYet),
        ("configMap", Yes),
        ("csi", NotYet),
        ("downwardAPI", Yes),
        ("emptyDir", Inside(&EMPTY_DIR)),
        ("ephemeral", NotYet),
        ("fc", NotYet),
        ("flexVolume", NotYet),
        ("flocker", NotYet),
        ("gcePersistentDisk", NotYet),
        ("gitRepo", NotYet),
        ("glusterfs", NotYet),
        ("hostPath", Yes),
        ("image", NotYet),
        ("iscsi", NotYet),
        ("name", Yes),
        ("nfs", NotYet),
        ("persistentVolumeClaim", NotYet),
        ("photonPersistentDisk", NotYet),
        ("portworxVolume", NotYet),
        ("projected", Inside(&PROJECTED)),
        ("quobyte", NotYet),
        ("rbd", NotYet),
        ("scaleIO", NotYet),
        ("secret", Yes),
        ("storageos", NotYet),
        ("vsphereVolume", NotYet),
    ],
};

/// EmptyDirVolumeSource.
pub(super) static EMPTY_DIR: Table = Table {
    rows: &[("medium", Only(&["", "Memory"])), ("sizeLimit", Yes)],
};

/// ProjectedVolumeSource.
pub(super) static PROJECTED: Table = Table {
    rows: &[("defaultMode", Yes), ("sources", Inside(&PROJECTION))],
};

/// VolumeProjection.
pub(super) static PROJECTION: Table = Table {
    rows: &[
        ("clusterTrustBundle", NotYet),
        ("configMap", Yes),
        ("downwardAPI", Yes),
        ("podCertificate", NotYet),
        ("secret", Yes),
        ("serviceAccountToken", NotYet),
    ],
};
