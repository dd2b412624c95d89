// Builds a folder as `kustomize build` does, then substitutes variables as Flux does after a build.
//
// usage: gitops FOLDER [-substitute] [-strict] [NAME=VALUE ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	substitute := flag.Bool("substitute", false, "substitute variables")
	strict := flag.Bool("strict", false, "refuse variables without a value")
	flag.Parse()
	yaml, err := build(flag.Arg(0), *substitute, *strict, flag.Args()[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(yaml)
}

func build(folder string, substitute, strict bool, variables []string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil || !substitute {
		if err != nil {
			return nil, err
		}
		return resources.AsYaml()
	}
	values := map[string]any{}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	kustomization := unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"postBuild": map[string]any{"substitute": values}},
	}}
	for _, resource := range resources.Resources() {
		replaced, err := kustomize.SubstituteVariables(context.Background(), nil, kustomization, resource,
			kustomize.SubstituteWithDryRun(true), kustomize.SubstituteWithStrict(strict), kustomize.SubstituteWithAlways(true))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		if replaced != nil {
			if _, err := resources.Replace(replaced); err != nil {
				return nil, err
			}
		}
	}
	return resources.AsYaml()
}
