@interface Thing { int count; }
- (int)add:(int)n;
@end
@implementation Thing
- (int)add:(int)n { return count + n; }
@end
