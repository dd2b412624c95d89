import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assembly, type ClassType, type EnumType, type InterfaceType, TypeKind } from '@jsii/spec';
import { root } from './documents';

/** The public API, as jsii has compiled it. */
export const assembly: Assembly = JSON.parse(readFileSync(join(root, '.jsii'), 'utf8'));
const types = Object.values(assembly.types ?? {});

export const classes = types.filter((type): type is ClassType => type.kind === TypeKind.Class);
export const structs = types.filter((type): type is InterfaceType => type.kind === TypeKind.Interface);
export const enums = types.filter((type): type is EnumType => type.kind === TypeKind.Enum);

/** A name or documentation of the API, and where it is. */
export interface Documented {
  readonly path: string;
  readonly docs: NonNullable<ClassType['docs']>;
  readonly name: string;
}

/** Everything that has a name in the API. */
export const documented: Documented[] = types.flatMap((type) => [
  entry(type.name, type.name, type.docs),
  ...(type.kind === TypeKind.Enum
    ? type.members.map((member) => entry(`${type.name}.${member.name}`, member.name, member.docs))
    : [...(type.properties ?? []), ...(type.methods ?? [])].flatMap((member) => [
        entry(`${type.name}.${member.name}`, member.name, member.docs),
        ...('parameters' in member ? (member.parameters ?? []) : []).map((parameter) =>
          entry(`${type.name}.${member.name}(${parameter.name})`, parameter.name, parameter.docs),
        ),
      ])),
]);

function entry(path: string, name: string, docs: Documented['docs'] = {}): Documented {
  return { path, name, docs };
}
