import { EffectGenerate } from '../../nodes/EffectGenerate/EffectGenerate.node';
import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import { ImageTune } from '../../nodes/ImageTune/ImageTune.node';
import { Sprite } from '../../nodes/Sprite/Sprite.node';

/** What is tested: all that the simulator knows of the nodes' code is here. */
export const paidNodes = [new EffectGenerate(), new ImageGenerate(), new ImageTune(), new Sprite()];
export { systemClock } from '../../nodes/shared/clock';
