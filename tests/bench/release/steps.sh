#!/bin/sh
# steps.sh SSH_CONFIG VOLUMES VALUES CHART RELEASE NAMESPACE NAME,ADDRESS...: the seed's steps by hand, made to work; KUBECONFIG names the cluster.
set -eu
here=$(dirname "$0")
config=$1 volumes=$2 values=$3 chart=$4 release=$5 namespace=$6
shift 6
# 3 to 5: account, ssh trust and directories, over ssh with pinned host keys.
sh "$here/../convergence/cases/script.sh" "$config" "$@"
# 7: what is there already is looked at, not deleted; 8: the chart is a folder.
helm status "$release" --namespace "$namespace" > /dev/null
# 10 and 11.
kubectl apply --filename "$volumes"
helm upgrade --install "$release" "$chart" --namespace "$namespace" --values "$values"
kubectl get pods --namespace "$namespace"
