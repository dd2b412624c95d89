// What Kubernetes' own code says, one JSON question a line, one JSON answer a line:
// {"owner": rules, "servant": rules}: whether the first rules cover the second;
// {"types": true}: of each field that a manifest of ours may have, its path and what its Go type is.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	rbacvalidation "k8s.io/component-helpers/auth/rbac/validation"
)

type question struct {
	Owner   []rbacv1.PolicyRule `json:"owner"`
	Servant []rbacv1.PolicyRule `json:"servant"`
	Types   bool                `json:"types"`
}

type field struct {
	Path    string `json:"path"`
	Type    string `json:"type"`
	Pointer bool   `json:"pointer"`
	Key     string `json:"key,omitempty"`
}

var kinds = []any{
	appsv1.DeploymentSpec{}, batchv1.JobSpec{}, networkingv1.NetworkPolicySpec{}, policyv1.PodDisruptionBudgetSpec{},
	corev1.ServiceSpec{}, corev1.ServiceAccount{}, corev1.ConfigMap{}, corev1.Secret{}, rbacv1.Role{}, rbacv1.RoleBinding{},
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	answer := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		if asked.Types {
			fields := []field{}
			for _, kind := range kinds {
				kindType := reflect.TypeOf(kind)
				walk(kindType, strings.TrimSuffix(kindType.Name(), "Spec"), map[reflect.Type]bool{}, &fields)
			}
			answer.Encode(map[string]any{"answer": fields})
			continue
		}
		covers, _ := rbacvalidation.Covers(asked.Owner, asked.Servant)
		answer.Encode(map[string]any{"answer": covers})
	}
}

func walk(of reflect.Type, path string, above map[reflect.Type]bool, fields *[]field) {
	if above[of] || of == reflect.TypeOf(resource.Quantity{}) || of == reflect.TypeOf(intstr.IntOrString{}) {
		return
	}
	above[of] = true
	defer delete(above, of)
	for i := 0; i < of.NumField(); i++ {
		member := of.Field(i)
		name := strings.Split(member.Tag.Get("json"), ",")[0]
		inside := member.Type
		pointer := inside.Kind() == reflect.Pointer
		for inside.Kind() == reflect.Pointer || inside.Kind() == reflect.Slice {
			inside = inside.Elem()
		}
		if name == "" && member.Anonymous {
			walk(inside, path, above, fields)
			continue
		}
		if name == "" || name == "-" || name == "status" || name == "metadata" && len(above) == 1 {
			continue
		}
		described := inside.Kind().String()
		if inside == reflect.TypeOf(resource.Quantity{}) || inside.Kind() == reflect.Map && inside.Elem() == reflect.TypeOf(resource.Quantity{}) {
			described = "quantity " + described
		}
		if member.Type.Kind() == reflect.Slice {
			described = "list of " + described
		}
		*fields = append(*fields, field{path + "." + name, described, pointer, member.Tag.Get("patchMergeKey")})
		if inside.Kind() == reflect.Struct {
			walk(inside, path+"."+name, above, fields)
		}
	}
}
